import {
  CoreApp,
  type AdHocVariableFilter,
  type AnnotationSupport,
  type DataFrame,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceInstanceSettings,
  type LogRowContextOptions,
  type LogRowModel,
  type MetricFindValue,
  type ScopedVars,
  type TimeRange,
  dateTime,
} from '@grafana/data';
import { DataSourceWithBackend, getGrafanaLiveSrv, getTemplateSrv } from '@grafana/runtime';
import { lastValueFrom, map, type Observable } from 'rxjs';

import { contextOf, hasPlaceInLoki } from './context';
import { changes, following } from './live';
import { kindOf } from './queryTypes';
import { FACETS, TERMS, type IncidentLensOptions, type IncidentLensQuery, type ListKey } from './types';
import { filled } from './variables';
import { namesIn, variableQuery } from './variableQuery';

const DAY_MS = 86_400_000;

export class IncidentLensDataSource extends DataSourceWithBackend<IncidentLensQuery, IncidentLensOptions> {
  readonly options: IncidentLensOptions;
  override annotations: AnnotationSupport<IncidentLensQuery> = {
    getDefaultQuery: () => ({ queryType: 'annotations' }),
  };

  constructor(settings: DataSourceInstanceSettings<IncidentLensOptions>) {
    super(settings);
    this.options = settings.jsonData ?? {};
  }

  override getDefaultQuery(app: CoreApp): Partial<IncidentLensQuery> {
    // No filter: Grafana adds the default, unseen, to every query that has nothing but its type.
    return { queryType: app === CoreApp.UnifiedAlerting ? 'open_alerts' : 'incidents' };
  }

  override getQueryDisplayText(query: IncidentLensQuery): string {
    const kind = kindOf(query.queryType);
    if (!kind) {
      return 'IncidentLens';
    }
    const said = kind.fields
      .filter((key) => key !== 'live' && key !== 'empty')
      .flatMap((key) => {
        const value = query[key];
        const text = Array.isArray(value) ? value.join(', ') : value;
        return text === undefined || text === '' ? [] : [`${key}: ${String(text)}`];
      });
    return [kind.label, ...said].join(' · ');
  }

  override filterQuery(query: IncidentLensQuery): boolean {
    return !query.hide && Boolean(query.queryType);
  }

  // 9.4 does not give the dashboard's ad hoc filters; its template service has them.
  override applyTemplateVariables(
    query: IncidentLensQuery,
    scoped: ScopedVars,
    filters?: AdHocVariableFilter[]
  ): IncidentLensQuery {
    const templates = getTemplateSrv();
    const older = templates as { getAdhocFilters?: (name: string) => AdHocVariableFilter[] };
    const { live: _, ...sent } = filled(query, templates, scoped, filters ?? older.getAdhocFilters?.(this.name) ?? []);
    return sent;
  }

  override query(request: DataQueryRequest<IncidentLensQuery>): Observable<DataQueryResponse> {
    const timezone = zone(request.timezone);
    const zoned = { ...request, targets: request.targets.map((target) => ({ timezone, ...target })) };
    const ask = (asked: DataQueryRequest<IncidentLensQuery>) => super.query(asked).pipe(map(asSeries));
    const wanted = request.targets.some((target) => (target.live || request.liveStreaming) && this.filterQuery(target));
    const live = wanted ? getGrafanaLiveSrv() : undefined;
    return live ? following(zoned, changes(live, this.uid), ask) : ask(zoned);
  }

  /** The names of a kind, for the query editor, variables and ad hoc filters. */
  async names(variable: string, within: Partial<IncidentLensQuery> = {}, range?: TimeRange): Promise<MetricFindValue[]> {
    const closed = TERMS[variable as ListKey];
    if (closed) {
      return closed.map((text) => ({ text, value: text }));
    }
    const now = Date.now();
    const asked = range ?? {
      from: dateTime(now - 30 * DAY_MS),
      to: dateTime(now),
      raw: { from: 'now-30d', to: 'now' },
    };
    const target: IncidentLensQuery = { ...within, refId: 'names', queryType: 'variable', variable };
    const request = {
      targets: [target],
      range: asked,
      intervalMs: 60_000,
      maxDataPoints: 1_000,
      requestId: `incidentlens-names-${this.uid}-${variable}-${Math.random()}`,
      scopedVars: {},
      app: CoreApp.Unknown,
      timezone: 'utc',
      startTime: now,
      interval: '1m',
    } as DataQueryRequest<IncidentLensQuery>;
    return lastValueFrom(super.query(request).pipe(map(namesIn)));
  }

  override async metricFindQuery(
    query: string | Partial<IncidentLensQuery>,
    options?: { range?: TimeRange; scopedVars?: ScopedVars }
  ): Promise<MetricFindValue[]> {
    const { variable, ...within } = variableQuery(query);
    return variable === undefined ? [] : this.names(variable, within, options?.range);
  }

  override async getTagKeys(): Promise<MetricFindValue[]> {
    return FACETS.map((text) => ({ text, value: text }));
  }

  override async getTagValues(options: { key: string }): Promise<MetricFindValue[]> {
    return this.names(options.key);
  }

  // Evidence knows its stream, so what stood around a line is asked of Loki itself.
  showContextToggle(row?: LogRowModel): boolean {
    return row !== undefined && hasPlaceInLoki(row);
  }

  async getLogRowContext(row: LogRowModel, options?: LogRowContextOptions): Promise<DataQueryResponse> {
    return contextOf(row, options);
  }
}

// Frames with the topic "annotations" go past annotation queries in 9.4, and no table can show them.
function asSeries(response: DataQueryResponse): DataQueryResponse {
  return {
    ...response,
    data: response.data.map((frame: DataFrame) =>
      frame.meta?.dataTopic ? Object.assign(frame, { meta: { ...frame.meta, dataTopic: undefined } }) : frame
    ),
  };
}

function zone(given: string | undefined): string {
  return given === undefined || given === '' || given === 'browser'
    ? Intl.DateTimeFormat().resolvedOptions().timeZone
    : given;
}
