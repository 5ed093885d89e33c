/** A transformation to start from: a script with the settings that a form shows for it. One folder each in templates/. */
export interface Template {
  id: string;
  name: string;
  /** What it does, in one sentence. */
  description: string;
  category: "filter" | "privacy" | "enrich" | "clean" | "shape";
  inputs: readonly TemplateInput[];
  /** Credentials that the script needs, and what each is. */
  credentials?: readonly { key: string; description: string }[];
  /** TypeScript. */
  code: string;
  /** Events to try it on, and the inputs to do so with. */
  example: {
    inputs: Record<string, unknown>;
    credentials?: Record<string, string>;
    events: readonly { event: string; [field: string]: unknown }[];
  };
}

interface TemplateInput {
  /** Its name in `ctx.inputs`. */
  key: string;
  type: "text" | "number" | "boolean" | "choice" | "list" | "map";
  label: string;
  description: string;
  default: unknown;
  /** Of a choice. */
  options?: readonly string[];
}
