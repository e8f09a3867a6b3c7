import type { QueryEditorProps } from '@grafana/data';
import { Alert, InlineField, InlineFieldRow, InlineSwitch, Select } from '@grafana/ui';
import * as React from 'react';

import type { IncidentLensDataSource } from '../datasource';
import { TYPE_OPTIONS, changedType, kindOf, type FieldKey, type Kind } from '../queryTypes';
import { LIST_KEYS, type IncidentLensOptions, type IncidentLensQuery, type ListKey } from '../types';
import { ChoiceField, ListField, TOLD, TextField } from './fields';

type Props = QueryEditorProps<IncidentLensDataSource, IncidentLensQuery, IncidentLensOptions>;

/** The query type first, then only the fields that it has. */
export function QueryEditor({ query, datasource, onChange, onRunQuery, app }: Props) {
  const kind = kindOf(query.queryType);
  const change = (changed: IncidentLensQuery) => {
    onChange(changed);
    onRunQuery();
  };
  const id = (name: string) => `incidentlens-${query.refId}-${name}`;
  const missing = kind?.needs?.(query);
  return (
    <div>
      <InlineFieldRow>
        <InlineField label="Query type" labelWidth={14} htmlFor={id('type')} tooltip="What to ask IncidentLens for.">
          <Select
            inputId={id('type')}
            aria-label="Query type"
            width={48}
            options={TYPE_OPTIONS}
            value={query.queryType ?? null}
            placeholder="Choose what to show"
            onChange={(picked) => picked.value && change(changedType(query, picked.value))}
          />
        </InlineField>
      </InlineFieldRow>
      {kind && (
        <p style={{ margin: '4px 0 8px', opacity: 0.8 }}>
          {kind.description} <em>For: {kind.panels}.</em>
        </p>
      )}
      {missing && (
        <Alert title={missing} severity="info" />
      )}
      {kind && (
        <InlineFieldRow>
          {kind.fields.filter((key) => shown(key, app)).map((key) => (
            <Field key={key} id={id(key)} name={key} kind={kind} query={query} datasource={datasource} change={change} />
          ))}
        </InlineFieldRow>
      )}
    </div>
  );
}

interface FieldProps {
  id: string;
  name: FieldKey;
  kind: Kind;
  query: IncidentLensQuery;
  datasource: IncidentLensDataSource;
  change: (query: IncidentLensQuery) => void;
}

function Field({ id, name, kind, query, datasource, change }: FieldProps) {
  const told = TOLD[name];
  const choices = kind.choices?.[name];
  if (name === 'live') {
    return (
      <InlineField label={told.label} tooltip={told.tooltip} labelWidth={14} htmlFor={id}>
        <InlineSwitch
          id={id}
          value={query.live ?? false}
          onChange={(event) => change({ ...query, live: event.currentTarget.checked || undefined })}
        />
      </InlineField>
    );
  }
  if (name === 'limit') {
    const limited = (text: string) => {
      const number = Math.floor(Number(text));
      change({ ...query, limit: number > 0 ? number : undefined });
    };
    return <TextField id={id} told={told} type="number" value={query.limit} onChange={limited} />;
  }
  if (isList(name)) {
    return (
      <ListField
        id={id}
        told={told}
        name={name}
        value={query[name]}
        choices={choices}
        datasource={datasource}
        onChange={(value) => change({ ...query, [name]: value })}
      />
    );
  }
  const set = (value: string | undefined) => change({ ...query, [name]: value || undefined });
  return choices ? (
    <ChoiceField id={id} told={told} value={query[name]} choices={choices} onChange={set} />
  ) : (
    <TextField id={id} told={told} value={query[name]} onChange={set} />
  );
}

function isList(name: FieldKey): name is ListKey {
  return (LIST_KEYS as readonly string[]).includes(name);
}

// An alert rule is asked by Grafana's server, which follows no stream.
function shown(key: FieldKey, app: string | undefined): boolean {
  return key !== 'live' || app !== 'unified-alerting';
}
