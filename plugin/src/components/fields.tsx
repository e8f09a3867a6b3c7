import { getTemplateSrv } from '@grafana/runtime';
import { InlineField, Input, MultiSelect, Select } from '@grafana/ui';
import type { SelectableValue } from '@grafana/data';
import * as React from 'react';

import type { IncidentLensDataSource } from '../datasource';
import type { Choice, FieldKey } from '../queryTypes';
import { TERMS, type ListKey } from '../types';

const LABEL = 14;
const WIDTH = 32; // two beside each other in a panel editor

export interface Told {
  label: string;
  tooltip: string;
  placeholder?: string;
}

export const TOLD: Record<FieldKey, Told> = {
  incidentId: { label: 'Incident', tooltip: 'Ids of incidents, or a variable such as $incident.', placeholder: 'id or $incident' },
  service: { label: 'Service', tooltip: 'Any of these services is part of the incident.' },
  signature: { label: 'Signature', tooltip: 'Any of these kinds of messages is part of the incident.' },
  runbook: { label: 'Runbook', tooltip: 'The runbook that matched.' },
  status: { label: 'Status', tooltip: 'Where the incident stands.' },
  severity: { label: 'Severity', tooltip: 'How bad it is.' },
  disposition: { label: 'Disposition', tooltip: 'Who should know.' },
  outcome: { label: 'Outcome', tooltip: 'What the verifier found.' },
  text: { label: 'Text', tooltip: 'Each word begins a word of the title, summary, services, signatures or labels.', placeholder: 'words' },
  groupBy: { label: 'Group by', tooltip: 'One series for each combination of these; at most three.', placeholder: 'all together' },
  sort: { label: 'Sort by', tooltip: 'What decides which rows come first, and which are left out by the limit.' },
  order: { label: 'Order', tooltip: 'Which end of the sort comes first.' },
  limit: { label: 'Limit', tooltip: 'At most so many rows; what is left out is said in the corner of the panel.', placeholder: 'default' },
  format: { label: 'Show', tooltip: 'The form of the answer.' },
  kind: { label: 'Kind', tooltip: 'Only entries of these kinds.' },
  state: { label: 'State', tooltip: 'Only actions in these states.' },
  level: { label: 'Level', tooltip: "Only messages of these levels." },
  family: { label: 'Family', tooltip: 'Signatures of one family, such as db or http.', placeholder: 'any' },
  empty: {
    label: 'If empty',
    tooltip: 'What logs, state timeline and node graph say while there is nothing to show; a sentence a line.',
    placeholder: 'Grafana’s own words',
  },
  live: { label: 'Live', tooltip: 'Ask again as soon as an incident changes, whatever the dashboard’s refresh is.' },
};

interface Common {
  id: string;
  told: Told;
}

interface ListProps extends Common {
  name: ListKey;
  value: unknown;
  choices?: readonly Choice[];
  datasource: IncidentLensDataSource;
  onChange: (value: string[] | undefined) => void;
}

/** Several values: known ones, the dashboard's variables, or whatever is typed. */
export function ListField({ id, told, name, value, choices, datasource, onChange }: ListProps) {
  const [known, setKnown] = React.useState<ReadonlyArray<SelectableValue<string>>>(
    () => choices?.map((each) => ({ ...each })) ?? (TERMS[name] ?? []).map((each) => ({ value: each, label: each }))
  );
  const [loading, setLoading] = React.useState(false);
  const asked = React.useRef(false);

  const load = () => {
    if (asked.current || choices || TERMS[name]) {
      return;
    }
    asked.current = true;
    setLoading(true);
    datasource
      .names(name === 'incidentId' ? 'incident' : name)
      .then((found) => setKnown(found.map((each) => ({ label: each.text, value: String(each.value ?? each.text) }))))
      // Names can be typed too; that they cannot be listed is no reason to bother.
      .catch(() => (asked.current = false))
      .finally(() => setLoading(false));
  };
  const chosen = listOf(value);
  const variables = getTemplateSrv()
    .getVariables()
    .map((each) => ({ value: `$${each.name}`, label: `$${each.name}`, description: 'variable of the dashboard' }));
  const listed = [...variables, ...known];
  // What is chosen must be among the options, or Grafana 9.4 does not show it.
  const others = chosen.filter((each) => !listed.some((option) => option.value === each));
  const options = [...others.map((each) => ({ value: each, label: each })), ...listed];
  return (
    <InlineField label={told.label} tooltip={told.tooltip} labelWidth={LABEL} htmlFor={id}>
      <MultiSelect
        inputId={id}
        aria-label={told.label}
        width={WIDTH}
        options={options}
        value={chosen}
        placeholder={told.placeholder ?? 'any'}
        isLoading={loading}
        isClearable
        allowCustomValue
        onOpenMenu={load}
        onChange={(picked) => {
          const values = picked.flatMap((each) => (each.value === undefined ? [] : [each.value]));
          onChange(values.length > 0 ? values : undefined);
        }}
      />
    </InlineField>
  );
}

interface ChoiceProps extends Common {
  value: string | undefined;
  choices: readonly Choice[];
  onChange: (value: string | undefined) => void;
}

/** One of a few. */
export function ChoiceField({ id, told, value, choices, onChange }: ChoiceProps) {
  return (
    <InlineField label={told.label} tooltip={told.tooltip} labelWidth={LABEL} htmlFor={id}>
      <Select
        inputId={id}
        aria-label={told.label}
        width={WIDTH}
        options={choices.map((each) => ({ ...each }))}
        value={value ?? null}
        placeholder={choices[0]?.label}
        isClearable
        onChange={(picked) => onChange(picked?.value)}
      />
    </InlineField>
  );
}

interface TextProps extends Common {
  value: string | number | undefined;
  type?: 'text' | 'number';
  onChange: (value: string) => void;
}

/** A text that counts once the field is left or Enter is pressed: a query for every letter would be too many. */
export function TextField({ id, told, value, type = 'text', onChange }: TextProps) {
  const [typed, setTyped] = React.useState(String(value ?? ''));
  React.useEffect(() => setTyped(String(value ?? '')), [value]);
  const done = () => {
    if (typed !== String(value ?? '')) {
      onChange(typed);
    }
  };
  return (
    <InlineField label={told.label} tooltip={told.tooltip} labelWidth={LABEL} htmlFor={id}>
      <Input
        id={id}
        width={WIDTH}
        type={type}
        min={type === 'number' ? 1 : undefined}
        value={typed}
        placeholder={told.placeholder}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onBlur={done}
        onKeyDown={(event) => event.key === 'Enter' && done()}
      />
    </InlineField>
  );
}

function listOf(value: unknown): string[] {
  if (value === undefined || value === null || value === '') {
    return [];
  }
  return (Array.isArray(value) ? value : [value]).map(String);
}
