import { InlineField, InlineFieldRow, Select } from '@grafana/ui';
import * as React from 'react';

import type { IncidentLensDataSource } from '../datasource';
import { TERMS, type IncidentLensQuery, type ListKey } from '../types';
import { VARIABLES, variableQuery } from '../variableQuery';
import { ListField, TOLD } from './fields';

interface Props {
  query: string | Partial<IncidentLensQuery>;
  datasource: IncidentLensDataSource;
  onChange: (query: Partial<IncidentLensQuery>, definition: string) => void;
}

// What narrows a list of incidents; the other lists are of everything there is.
const NARROWING: ListKey[] = ['service', 'status', 'severity', 'disposition'];

/** What a dashboard variable lists. */
export function VariableEditor({ query, datasource, onChange }: Props) {
  const asked = variableQuery(query);
  const change = (changed: Partial<IncidentLensQuery>) => {
    const label = VARIABLES.find((each) => each.value === changed.variable)?.label ?? '';
    onChange({ refId: 'variable', queryType: 'variable', ...changed }, `IncidentLens: ${label}`);
  };
  return (
    <div>
      <InlineFieldRow>
        <InlineField label="List" labelWidth={14} htmlFor="incidentlens-variable" tooltip="What the variable offers.">
          <Select
            inputId="incidentlens-variable"
            aria-label="List"
            width={48}
            options={VARIABLES}
            value={asked.variable ?? null}
            placeholder="Choose what to list"
            onChange={(picked) => change({ ...asked, variable: picked.value })}
          />
        </InlineField>
      </InlineFieldRow>
      {asked.variable === 'incident' && (
        <InlineFieldRow>
          {NARROWING.map((name) => (
            <ListField
              key={name}
              id={`incidentlens-variable-${name}`}
              told={TOLD[name]}
              name={name}
              value={asked[name]}
              datasource={datasource}
              onChange={(value) => change({ ...asked, [name]: value })}
            />
          ))}
        </InlineFieldRow>
      )}
      {asked.variable !== undefined && TERMS[asked.variable as ListKey] === undefined && (
        <p style={{ opacity: 0.8, marginTop: 8 }}>
          With "Include All option", leave the custom value empty or put <code>*</code>: both mean no condition.
        </p>
      )}
    </div>
  );
}
