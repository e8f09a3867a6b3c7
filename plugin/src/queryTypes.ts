import type { SelectableValue } from '@grafana/data';

import { FACETS, QUERY_TYPES, type IncidentLensQuery, type ListKey, type QueryType, type TextKey } from './types';

export type FieldKey = ListKey | Extract<TextKey, 'text' | 'family' | 'sort' | 'order' | 'format' | 'empty'> | 'limit' | 'live';

export interface Choice {
  value: string;
  label: string;
  description?: string;
}

/** What the query editor shows of one query type. */
export interface Kind {
  label: string;
  description: string;
  /** Panels it is made for. */
  panels: string;
  fields: readonly FieldKey[];
  choices?: Partial<Record<FieldKey, readonly Choice[]>>;
  /** The first thing to tell where the query lacks what it cannot do without. */
  needs?: (query: IncidentLensQuery) => string | undefined;
  example?: { title: string; query: Omit<IncidentLensQuery, 'refId'> };
}

const FILTERS = ['service', 'severity', 'disposition', 'status', 'signature', 'runbook', 'outcome', 'text'] as const;

const choices = (...values: string[]): Choice[] => values.map((value) => ({ value, label: value.replaceAll('_', ' ') }));

const BY: Choice[] = FACETS.map((facet) => ({ value: facet, label: facet }));
const ORDER: Choice[] = [
  { value: 'desc', label: 'descending', description: 'the latest, greatest or heaviest first' },
  { value: 'asc', label: 'ascending' },
];

const wantsIncident = (query: IncidentLensQuery) =>
  (query.incidentId ?? []).length === 0 ? 'Name an incident: its id, or a variable such as $incident.' : undefined;

export const KINDS: Record<(typeof QUERY_TYPES)[number], Kind> = {
  incidents: {
    label: 'Incidents',
    description: 'One row an incident that was seen in the time range, with its cause, decision and outcome.',
    panels: 'table, stat',
    fields: [...FILTERS, 'incidentId', 'sort', 'order', 'limit', 'live'],
    choices: {
      sort: [
        { value: 'last_seen', label: 'last seen' },
        { value: 'opened_at', label: 'opened' },
        { value: 'severity', label: 'severity' },
        { value: 'count', label: 'records' },
      ],
      order: ORDER,
    },
    example: {
      title: 'What is open, the worst first',
      query: { queryType: 'incidents', status: ['open', 'verifying'], sort: 'severity', limit: 50, live: true },
    },
  },
  incident: {
    label: 'One incident',
    description: 'What is known of one incident, whenever it was; what was decided and why, and what to do.',
    panels: 'stat, table; logs for story and steps',
    fields: ['incidentId', 'format', 'empty', 'live'],
    choices: {
      format: [
        { value: 'summary', label: 'summary', description: 'one row' },
        { value: 'story', label: 'story', description: 'cause, summary and claims, for a logs panel' },
        { value: 'steps', label: 'steps', description: 'what the runbook says to do, for a logs panel' },
        { value: 'reasons', label: 'reasons', description: 'of each decision, one row a step' },
        { value: 'findings', label: 'findings', description: 'claims and rules, with the evidence they cite' },
      ],
    },
    needs: wantsIncident,
    example: { title: 'Why it was decided so', query: { queryType: 'incident', incidentId: ['$incident'], format: 'reasons' } },
  },
  incident_series: {
    label: 'Incidents over time',
    description: 'How many incidents were opened in each interval, one series a kind.',
    panels: 'time series, bar chart',
    fields: ['groupBy', ...FILTERS, 'limit', 'live'],
    choices: { groupBy: BY },
    example: { title: 'Incidents by disposition', query: { queryType: 'incident_series', groupBy: ['disposition'] } },
  },
  open_alerts: {
    label: 'Open alerts',
    description: 'One row an incident that somebody should know of now, value 1; for alert rules without a reduce step.',
    panels: 'alert rule, table',
    fields: ['service', 'severity', 'disposition', 'runbook', 'live'],
    example: { title: 'Everything worth a call', query: { queryType: 'open_alerts', disposition: ['ESCALATE', 'NEEDS_ONCALL'] } },
  },
  evidence: {
    label: 'Evidence',
    description: 'The log lines and other items that prove an incident, each with a link to its place in Loki.',
    panels: 'logs',
    fields: ['incidentId', 'kind', 'limit', 'empty'],
    choices: { kind: choices('record', 'timeline', 'incident', 'deploy', 'runbook', 'cause', 'alert', 'maintenance') },
    needs: wantsIncident,
    example: { title: 'Lines of the incident of a variable', query: { queryType: 'evidence', incidentId: ['$incident'] } },
  },
  timeline: {
    label: 'Timeline',
    description: 'The states that incidents were in: one row an incident, or what happened within one.',
    panels: 'state timeline, table',
    fields: ['incidentId', 'format', ...FILTERS, 'limit', 'empty', 'live'],
    choices: {
      format: [
        { value: 'states', label: 'states', description: 'for a state timeline' },
        { value: 'events', label: 'events', description: 'of one incident, as a table' },
      ],
    },
    example: { title: 'The life of one incident', query: { queryType: 'timeline', incidentId: ['$incident'] } },
  },
  root_cause: {
    label: 'Root cause',
    description: 'Services and problems of an incident, from the suspected cause to the symptoms, with delays and reasons.',
    panels: 'node graph',
    fields: ['incidentId', 'empty'],
    needs: wantsIncident,
    example: { title: 'Where it started', query: { queryType: 'root_cause', incidentId: ['$incident'] } },
  },
  actions: {
    label: 'Actions',
    description: 'What was done about incidents: enriched, suppressed, notified, and whether it arrived.',
    panels: 'table',
    fields: ['incidentId', 'kind', 'state', ...FILTERS, 'limit', 'live'],
    choices: { kind: choices('enrich', 'suppress', 'notify'), state: choices('done', 'shadow', 'digest', 'failed') },
    example: { title: 'Who was told', query: { queryType: 'actions', kind: ['notify'], limit: 50 } },
  },
  verification: {
    label: 'Verification',
    description: 'Whether it was really over: outcomes over time, per runbook, or watch by watch.',
    panels: 'time series, bar chart, table',
    fields: ['format', 'incidentId', ...FILTERS, 'limit'],
    choices: {
      format: [
        { value: 'series', label: 'over time', description: 'outcomes in each interval' },
        { value: 'runbooks', label: 'per runbook', description: 'matches, outcomes and how often it came back' },
        { value: 'watches', label: 'watch by watch', description: 'one row each; so of an incident' },
      ],
    },
    example: { title: 'Outcomes over time', query: { queryType: 'verification', format: 'series' } },
  },
  signatures: {
    label: 'Signatures',
    description: 'Kinds of log messages: the loudest, the newest, or those that grow, with 24 hours of counts.',
    panels: 'table',
    fields: ['sort', 'format', 'level', 'service', 'family', 'signature', 'text', 'limit'],
    choices: {
      format: [
        { value: 'table', label: 'table' },
        { value: 'sparklines', label: 'sparklines', description: 'one series of 24 hours a signature' },
      ],
      sort: [
        { value: 'top', label: 'top', description: 'the most records of all time' },
        { value: 'new', label: 'new', description: 'first seen latest' },
        { value: 'growing', label: 'growing', description: 'the last hour exceeds the day before most' },
      ],
    },
    example: { title: 'What is new', query: { queryType: 'signatures', sort: 'new', limit: 20 } },
  },
  similar: {
    label: 'Similar incidents',
    description: 'Earlier incidents like one: how much alike, why, how they were decided, and what ended them.',
    panels: 'table',
    fields: ['incidentId', 'limit'],
    needs: wantsIncident,
    example: { title: 'Have we had this before?', query: { queryType: 'similar', incidentId: ['$incident'], limit: 3 } },
  },
  kpis: {
    label: 'Key figures',
    description: 'Times to detect, acknowledge and resolve, hit and suppression rates, resolution rate, cost.',
    panels: 'stat, gauge, table',
    fields: [...FILTERS, 'live'],
    example: { title: 'How critical services do', query: { queryType: 'kpis', severity: ['critical', 'high'] } },
  },
  health: {
    label: 'Sidecar health',
    description: 'How IncidentLens itself does: how far it has read, how much, what goes wrong, what models cost.',
    panels: 'stat, time series, table',
    fields: ['format', 'kind'],
    choices: {
      format: [
        { value: 'now', label: 'now', description: 'one row of figures' },
        { value: 'series', label: 'over time', description: 'of one kind' },
        { value: 'queries', label: 'queries', description: 'how far each LogQL query has been read' },
        { value: 'targets', label: 'publishing', description: 'what was sent, waits, or was given up' },
        { value: 'errors', label: 'errors', description: 'what goes wrong now; no rows where nothing does' },
      ],
      kind: [
        { value: 'records', label: 'records', description: 'taken in, a second' },
        { value: 'lag', label: 'lag', description: 'how far behind Loki' },
        { value: 'tick', label: 'time of a look' },
        { value: 'failures', label: 'failed looks' },
        { value: 'analyses', label: 'analyses', description: 'by what concluded' },
        { value: 'cost', label: 'model cost' },
      ],
    },
    example: { title: 'What is taken in', query: { queryType: 'health', format: 'series', kind: ['records'] } },
  },
  annotations: {
    label: 'Annotations',
    description: 'Incidents as regions of time, from onset to end; for dashboards and for annotation queries.',
    panels: 'annotation query, table',
    fields: [...FILTERS, 'limit'],
    example: { title: 'Regions of what was escalated', query: { queryType: 'annotations', disposition: ['ESCALATE'] } },
  },
};

export const TYPE_OPTIONS: Array<SelectableValue<QueryType>> = QUERY_TYPES.map((type) => ({
  value: type,
  label: KINDS[type].label,
  description: KINDS[type].description,
}));

export function kindOf(type: QueryType | undefined): Kind | undefined {
  return type === undefined || type === 'variable' ? undefined : KINDS[type];
}

/** The query for another type: what both types have is kept, the rest does not linger unseen in the JSON. */
export function changedType(query: IncidentLensQuery, type: QueryType): IncidentLensQuery {
  const kind = kindOf(type);
  const before = kindOf(query.queryType);
  if (kind === undefined) {
    return { ...query, queryType: type };
  }
  const out: Record<string, unknown> = { ...query, queryType: type };
  for (const key of before?.fields ?? []) {
    const closed = kind.choices?.[key];
    const same = closed === undefined || closed === before?.choices?.[key];
    if (!kind.fields.includes(key) || !same) {
      delete out[key];
    }
  }
  return out as unknown as IncidentLensQuery;
}
