import { DataSourcePlugin } from '@grafana/data';

import { ConfigEditor } from './components/ConfigEditor';
import { QueryEditor } from './components/QueryEditor';
import { QueryHelp } from './components/QueryHelp';
import { VariableEditor } from './components/VariableEditor';
import { IncidentLensDataSource } from './datasource';
import type { IncidentLensOptions, IncidentLensQuery, IncidentLensSecrets } from './types';

export const plugin = new DataSourcePlugin<
  IncidentLensDataSource,
  IncidentLensQuery,
  IncidentLensOptions,
  IncidentLensSecrets
>(IncidentLensDataSource)
  .setConfigEditor(ConfigEditor)
  .setQueryEditor(QueryEditor)
  .setQueryEditorHelp(QueryHelp)
  .setVariableQueryEditor(VariableEditor);
