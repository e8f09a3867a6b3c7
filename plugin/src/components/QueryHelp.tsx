import type { QueryEditorHelpProps } from '@grafana/data';
import { Button } from '@grafana/ui';
import * as React from 'react';

import { KINDS } from '../queryTypes';
import { QUERY_TYPES, type IncidentLensQuery } from '../types';

/** What there is to ask, with an example of each to start from. */
export function QueryHelp({ onClickExample }: QueryEditorHelpProps<IncidentLensQuery>) {
  return (
    <div>
      <h3>IncidentLens queries</h3>
      <p>
        Choose a query type, then narrow it. Every filter takes several values and variables of the dashboard; a variable
        with several values, or with <code>All</code>, works as it is. Ad hoc filters apply too.
      </p>
      <ul style={{ listStyle: 'none' }}>
        {QUERY_TYPES.map((type) => {
          const { label, description, panels, example } = KINDS[type];
          return (
            <li key={type} style={{ marginBottom: 16 }}>
              <strong>{label}</strong>: {description} <em>For: {panels}.</em>
              {example && (
                <div style={{ marginTop: 4 }}>
                  <Button
                    size="sm"
                    variant="secondary"
                    onClick={() => onClickExample({ refId: 'A', ...example.query })}
                  >
                    {example.title}
                  </Button>
                </div>
              )}
            </li>
          );
        })}
      </ul>
    </div>
  );
}
