import { setTemplateSrv, type TemplateSrv } from '@grafana/runtime';
import { cleanup, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { QueryEditor } from '../src/components/QueryEditor';
import { QueryHelp } from '../src/components/QueryHelp';
import { VariableEditor } from '../src/components/VariableEditor';
import type { IncidentLensDataSource } from '../src/datasource';
import { QUERY_TYPES, type IncidentLensQuery } from '../src/types';

const names = vi.fn(async () => [{ text: 'orders', value: 'orders' }]);
const datasource = { names } as unknown as IncidentLensDataSource;

beforeEach(() => {
  names.mockClear();
  setTemplateSrv({ replace: (text = '') => text, getVariables: () => [{ name: 'service' }] } as unknown as TemplateSrv);
});
afterEach(cleanup);

function edit(query: Partial<IncidentLensQuery>, app?: string) {
  const changed = vi.fn<(query: IncidentLensQuery) => void>();
  const run = vi.fn();
  const props = { query: { refId: 'A', ...query }, datasource, onChange: changed, onRunQuery: run, app } as never;
  render(<QueryEditor {...(props as React.ComponentProps<typeof QueryEditor>)} />);
  return { changed, run };
}

describe('the query editor', () => {
  test('shows the query type first and nothing else before one is chosen', () => {
    edit({});
    expect(screen.getByLabelText('Query type')).toBeDefined();
    expect(screen.queryByLabelText('Service')).toBeNull();
  });

  test('shows only the fields of the type', () => {
    edit({ queryType: 'root_cause' });
    expect(screen.getByLabelText('Incident')).toBeDefined();
    expect(screen.queryByLabelText('Service')).toBeNull();
    expect(screen.getByText(/Name an incident/)).toBeDefined();
  });

  test('lists names once the list is opened, with the variables of the dashboard', async () => {
    const { changed, run } = edit({ queryType: 'incidents' });
    expect(names).not.toHaveBeenCalled();
    await userEvent.click(screen.getByLabelText('Service'));
    await waitFor(() => expect(screen.getByText('orders')).toBeDefined());
    expect(screen.getByText('$service')).toBeDefined();
    await userEvent.click(screen.getByText('orders'));
    expect(changed).toHaveBeenCalledWith({ refId: 'A', queryType: 'incidents', service: ['orders'] });
    expect(run).toHaveBeenCalled();
  });

  test('takes a limit when the field is left, and an impossible one is none', async () => {
    const { changed } = edit({ queryType: 'incidents' });
    await userEvent.type(screen.getByLabelText('Limit'), '25');
    expect(changed).not.toHaveBeenCalled();
    await userEvent.tab();
    expect(changed).toHaveBeenLastCalledWith(expect.objectContaining({ limit: 25 }));
  });

  test('offers no live stream to an alert rule', () => {
    edit({ queryType: 'open_alerts' }, 'unified-alerting');
    expect(screen.queryByLabelText('Live')).toBeNull();
  });

  test.each(QUERY_TYPES)('renders %s', (queryType) => {
    const failed = vi.spyOn(console, 'error');
    edit({ queryType });
    expect(failed).not.toHaveBeenCalled();
  });
});

test('the help starts a query from an example', async () => {
  const clicked = vi.fn();
  render(<QueryHelp datasource={datasource as never} query={{ refId: 'A' }} onClickExample={clicked} />);
  await userEvent.click(screen.getByText('Incidents by disposition'));
  expect(clicked).toHaveBeenCalledWith({ refId: 'A', queryType: 'incident_series', groupBy: ['disposition'] });
});

test('the variable editor keeps what is chosen as a query of its own type', async () => {
  const changed = vi.fn();
  render(<VariableEditor query="" datasource={datasource} onChange={changed} />);
  await userEvent.click(screen.getByLabelText('List'));
  await userEvent.click(screen.getByText('Runbooks'));
  expect(changed).toHaveBeenCalledWith(
    { refId: 'variable', queryType: 'variable', variable: 'runbook' },
    'IncidentLens: Runbooks'
  );
});

test('a value that is in no list is shown all the same', () => {
  edit({ queryType: 'evidence', incidentId: ['inc_1', '$other'] });
  expect(screen.getByText('inc_1')).toBeDefined();
  expect(screen.getByText('$other')).toBeDefined();
});
