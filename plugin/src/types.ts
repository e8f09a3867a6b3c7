import type { DataSourceJsonData } from '@grafana/data';
import type { DataQuery } from '@grafana/schema';

export const QUERY_TYPES = [
  'incidents',
  'incident',
  'incident_series',
  'open_alerts',
  'evidence',
  'timeline',
  'root_cause',
  'actions',
  'verification',
  'signatures',
  'similar',
  'kpis',
  'health',
  'annotations',
] as const;

/** `variable` is what dashboard variables ask; it is no choice of the query editor. */
export type QueryType = (typeof QUERY_TYPES)[number] | 'variable';

export interface AdHocFilter {
  key: string;
  operator: string;
  value: string;
  values?: string[];
}

/** The JSON of a query, as the backend reads it. An empty list or a missing key is no condition. */
export interface IncidentLensQuery extends DataQuery {
  queryType?: QueryType;

  incidentId?: string[];
  service?: string[];
  signature?: string[];
  runbook?: string[];
  status?: string[];
  severity?: string[];
  disposition?: string[];
  outcome?: string[];
  text?: string;
  adhocFilters?: AdHocFilter[];

  groupBy?: string[];
  sort?: string;
  order?: string;
  limit?: number;
  format?: string;
  kind?: string[];
  state?: string[];
  level?: string[];
  family?: string;
  variable?: string;
  timezone?: string;
  /** What to show in place of nothing, for panels without words of their own. */
  empty?: string;

  /** Ask again as soon as an incident changes. Of the front end alone. */
  live?: boolean;
}

/** Keys whose value is a list, into which a variable of several values spreads. */
export const LIST_KEYS = [
  'incidentId',
  'service',
  'signature',
  'runbook',
  'status',
  'severity',
  'disposition',
  'outcome',
  'groupBy',
  'kind',
  'state',
  'level',
] as const;
export type ListKey = (typeof LIST_KEYS)[number];

export const TEXT_KEYS = ['text', 'family', 'sort', 'order', 'format', 'variable', 'empty'] as const;
export type TextKey = (typeof TEXT_KEYS)[number];

export interface IncidentLensOptions extends DataSourceJsonData {
  /** Empty: the token's own. */
  project?: string;
  /** The Loki data source of this Grafana that evidence links to. */
  lokiUid?: string;
  /** uid of the dashboard of one incident. */
  incidentDashboard?: string;
}

export interface IncidentLensSecrets {
  token?: string;
}

/** The closed vocabularies, the heaviest first. */
export const TERMS: Partial<Record<ListKey, readonly string[]>> = {
  status: ['open', 'verifying', 'resolved', 'closed', 'ignored', 'suppressed'],
  severity: ['critical', 'high', 'medium', 'low'],
  disposition: ['ESCALATE', 'NEEDS_ONCALL', 'NEEDS_DEV', 'OBSERVE', 'NO_ACTION'],
  outcome: ['resolved', 'still_firing', 're_escalated', 'inconclusive'],
  level: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'],
};

/** What ad hoc filters and grouping go by. */
export const FACETS = ['service', 'severity', 'disposition', 'status', 'signature', 'outcome', 'runbook'] as const;
