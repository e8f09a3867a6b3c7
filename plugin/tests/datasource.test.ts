import { CoreApp, FieldType, dateTime, toDataFrame, type DataQueryRequest, type DataSourceInstanceSettings } from '@grafana/data';
import { DataSourceWithBackend, setGrafanaLiveSrv, setTemplateSrv, type GrafanaLiveSrv, type TemplateSrv } from '@grafana/runtime';
import { Subject, firstValueFrom, of } from 'rxjs';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import { IncidentLensDataSource } from '../src/datasource';
import type { IncidentLensOptions, IncidentLensQuery } from '../src/types';

const settings = {
  id: 1,
  uid: 'incidentlens',
  name: 'IncidentLens',
  type: 'incidentlens-datasource',
  jsonData: {},
} as DataSourceInstanceSettings<IncidentLensOptions>;

let source: IncidentLensDataSource;
// What goes to Grafana's server.
const backend = vi.fn();

beforeEach(() => {
  const templates = { replace: (text = '') => text, getAdhocFilters: () => [{ key: 'severity', operator: '=', value: 'high' }] };
  setTemplateSrv(templates as unknown as TemplateSrv);
  backend.mockReset().mockReturnValue(of({ data: [] }));
  vi.spyOn(DataSourceWithBackend.prototype, 'query').mockImplementation(backend);
  source = new IncidentLensDataSource(settings);
});

const request = (...targets: Array<Partial<IncidentLensQuery>>) =>
  ({
    requestId: 'Q1',
    timezone: 'Europe/Berlin',
    targets: targets.map((target) => ({ refId: 'A', ...target })),
    range: { from: dateTime(0), to: dateTime(1), raw: { from: 'now-1h', to: 'now' } },
  }) as unknown as DataQueryRequest<IncidentLensQuery>;

describe('queries', () => {
  test('by default have no filter, since Grafana adds the default to queries unseen', () => {
    expect(source.getDefaultQuery(CoreApp.Explore)).toEqual({ queryType: 'incidents' });
    expect(source.getDefaultQuery(CoreApp.UnifiedAlerting)).toEqual({ queryType: 'open_alerts' });
    expect(source.annotations.getDefaultQuery?.()).toEqual({ queryType: 'annotations' });
  });

  test('that are hidden or have no type are not asked', () => {
    expect(source.filterQuery({ refId: 'A' })).toBe(false);
    expect(source.filterQuery({ refId: 'A', queryType: 'kpis', hide: true })).toBe(false);
    expect(source.filterQuery({ refId: 'A', queryType: 'kpis' })).toBe(true);
  });

  test("carry the dashboard's time zone", async () => {
    await firstValueFrom(source.query(request({ queryType: 'incident_series' })));
    expect(backend.mock.calls[0]?.[0].targets).toEqual([
      { refId: 'A', queryType: 'incident_series', timezone: 'Europe/Berlin' },
    ]);
  });

  test('carry ad hoc filters, given or, in 9.4, looked up; "live" stays here', () => {
    const given = [{ key: 'service', operator: '=', value: 'orders' }];
    const query: IncidentLensQuery = { refId: 'A', queryType: 'incidents', live: true };
    expect(source.applyTemplateVariables(query, {}, given)).toEqual({
      refId: 'A', queryType: 'incidents', adhocFilters: given,
    });
    expect(source.applyTemplateVariables(query, {}).adhocFilters).toEqual([
      { key: 'severity', operator: '=', value: 'high' },
    ]);
  });

  test('that are live are asked again when the stream tells of a change', () => {
    const events = new Subject<unknown>();
    setGrafanaLiveSrv({ getStream: () => events } as unknown as GrafanaLiveSrv);
    const subscription = source.query(request({ queryType: 'incidents', live: true })).subscribe();
    events.next({ type: 'message', message: {} });
    expect(backend).toHaveBeenCalledTimes(2);
    subscription.unsubscribe();
    expect(events.observed).toBe(false);
  });

  test('of annotations are given as series, where annotation queries of 9.4 look for them', async () => {
    const region = toDataFrame({ meta: { dataTopic: 'annotations' }, fields: [{ name: 'time', values: [1] }] });
    backend.mockReturnValue(of({ data: [region] }));
    const { data } = await firstValueFrom(source.query(request({ queryType: 'annotations' })));
    expect(data[0].meta.dataTopic).toBeUndefined();
    expect(data[0].length).toBe(1);
  });

  test('say in one line what they ask', () => {
    const text = source.getQueryDisplayText({ refId: 'A', queryType: 'incidents', service: ['a', 'b'], limit: 5 });
    expect(text).toBe('Incidents · service: a, b · limit: 5');
  });
});

describe('names', () => {
  const answer = toDataFrame({
    fields: [
      { name: 'text', type: FieldType.string, values: ['Pool exhausted (open)'] },
      { name: 'value', type: FieldType.string, values: ['inc-1'] },
    ],
  });

  test('of incidents are titles with ids, narrowed by what the variable says', async () => {
    backend.mockReturnValue(of({ data: [answer] }));
    const found = await source.metricFindQuery({ variable: 'incident', status: ['open'] });
    expect(found).toEqual([{ text: 'Pool exhausted (open)', value: 'inc-1' }]);
    expect(backend.mock.calls[0]?.[0].targets[0]).toMatchObject({
      queryType: 'variable', variable: 'incident', status: ['open'],
    });
  });

  test('may be asked by a text alone, and an empty one asks nothing', async () => {
    await source.metricFindQuery(' service ');
    expect(backend.mock.calls[0]?.[0].targets[0]).toMatchObject({ variable: 'service' });
    expect(await source.metricFindQuery('')).toEqual([]);
    expect(backend).toHaveBeenCalledTimes(1);
  });

  test('of closed vocabularies need no answer, as values of ad hoc filters either', async () => {
    expect((await source.getTagValues({ key: 'severity' })).map((each) => each.text)).toEqual([
      'critical', 'high', 'medium', 'low',
    ]);
    expect(backend).not.toHaveBeenCalled();
  });

  test('that cannot be had say why', async () => {
    backend.mockReturnValue(of({ data: [], errors: [{ data: { message: 'the store is away' } }] }));
    await expect(source.metricFindQuery('service')).rejects.toThrow('the store is away');
  });

  test('are read from the vectors of 9.4, too', async () => {
    const vector = (values: string[]) => ({ toArray: () => values, length: values.length });
    const old = { fields: [{ name: 'text', values: vector(['a']) }, { name: 'value', values: vector(['b']) }] };
    backend.mockReturnValue(of({ data: [old] }));
    expect(await source.metricFindQuery('service')).toEqual([{ text: 'a', value: 'b' }]);
  });
});
