import type { Dashboard, DataSourceRef, Panel } from "@grafana/schema";
import type { Options as Stat } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type { FieldConfig as Drawn, Options as Over } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** As it stands in a file: the value of an enumeration is its text. */
type Written<T> = unknown extends T ? T
  : T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends Array<infer One> ? Array<Written<One>>
  : { [Name in keyof T]: Written<T[Name]> };

interface Query { refId: string; expr: string; legendFormat: string; datasource: DataSourceRef }

type Shown<Type extends string, Options, Custom = {}> = Written<
  Omit<Panel<Options, Custom>, "type" | "options" | "targets" | "datasource">
> & { type: Type; options: Written<Partial<Options>>; targets: Query[]; datasource: DataSourceRef };

export type File = Written<Omit<Dashboard, "panels">> & {
  panels: Array<Shown<"stat", Stat> | Shown<"timeseries", Over, Drawn>>;
};
