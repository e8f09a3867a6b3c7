import type { DataSourcePluginOptionsEditorProps } from '@grafana/data';
import { DataSourcePicker } from '@grafana/runtime';
import { FieldSet, InlineField, Input, SecretInput } from '@grafana/ui';
import * as React from 'react';

import type { IncidentLensOptions, IncidentLensSecrets } from '../types';

type Props = DataSourcePluginOptionsEditorProps<IncidentLensOptions, IncidentLensSecrets>;

const LABEL = 22;
const WIDTH = 44;

export function ConfigEditor({ options, onOptionsChange }: Props) {
  const { jsonData, secureJsonData, secureJsonFields } = options;
  const set = (changed: Partial<IncidentLensOptions>) =>
    onOptionsChange({ ...options, jsonData: { ...jsonData, ...changed } });
  const setToken = (token: string, kept: boolean) =>
    onOptionsChange({
      ...options,
      secureJsonFields: { ...secureJsonFields, token: kept },
      secureJsonData: { ...secureJsonData, token },
    });
  const text = (event: React.FormEvent<HTMLInputElement>) => event.currentTarget.value.trim() || undefined;
  return (
    <>
      <FieldSet label="Server">
        <p style={{ maxWidth: 720 }}>
          Grafana&apos;s server asks IncidentLens over gRPC at <code>127.0.0.1:50051</code>, unless its configuration
          names another address; it is the same for every data source of this type:
        </p>
        <pre style={{ maxWidth: 720 }}>
          {'[plugin.incidentlens-datasource]\naddress = incidentlens:50051'}
        </pre>
        <p style={{ maxWidth: 720 }}>
          Nothing of it can be set here, so nobody who may edit data sources can make Grafana call elsewhere. Restart
          Grafana after a change. Save &amp; test says whether IncidentLens answers.
        </p>
      </FieldSet>
      <FieldSet label="Project">
        <InlineField
          label="Token"
          labelWidth={LABEL}
          htmlFor="incidentlens-token"
          tooltip="One of the project's tokens in incidentlens.yaml (projects.<name>.tokens). It decides what may be read; an editor's token lets Grafana's Editors close, ignore and give feedback, too. It is kept encrypted and never comes back to the browser."
        >
          <SecretInput
            id="incidentlens-token"
            width={WIDTH}
            isConfigured={Boolean(secureJsonFields?.token)}
            value={secureJsonData?.token ?? ''}
            placeholder="token of the project"
            autoComplete="new-password"
            onReset={() => setToken('', false)}
            onChange={(event) => setToken(event.currentTarget.value, false)}
          />
        </InlineField>
        <InlineField
          label="Project"
          labelWidth={LABEL}
          htmlFor="incidentlens-project"
          tooltip="Only a check: a token of another project is then refused. Where tokens are switched off, it chooses the project."
        >
          <Input
            id="incidentlens-project"
            width={WIDTH}
            value={jsonData.project ?? ''}
            placeholder="the token's own"
            onChange={(event) => set({ project: text(event) })}
          />
        </InlineField>
      </FieldSet>
      <FieldSet label="Links">
        <InlineField
          label="Loki data source"
          labelWidth={LABEL}
          tooltip="The data source with the logs of this project. Evidence links to its place there, and Explore shows the lines around it. Without it there are no such links."
        >
          <DataSourcePicker
            width={WIDTH}
            type="loki"
            noDefault
            current={jsonData.lokiUid ?? null}
            placeholder="none"
            onChange={(chosen) => set({ lokiUid: chosen.uid })}
            onClear={() => set({ lokiUid: undefined })}
          />
        </InlineField>
        <InlineField
          label="Incident dashboard"
          labelWidth={LABEL}
          htmlFor="incidentlens-dashboard"
          tooltip="The uid of the dashboard that shows one incident, with a variable named incident. Tables link to it."
        >
          <Input
            id="incidentlens-dashboard"
            width={WIDTH}
            value={jsonData.incidentDashboard ?? ''}
            placeholder="incidentlens-incident"
            onChange={(event) => set({ incidentDashboard: text(event) })}
          />
        </InlineField>
        <p style={{ maxWidth: 720 }}>
          Links to the pages of IncidentLens itself appear where <code>server.public_url</code> is set in its configuration.
        </p>
      </FieldSet>
    </>
  );
}
