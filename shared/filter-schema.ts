import { z } from "zod";
import type { Comparison, Filter } from "./filter.ts";

// Apart from filter.ts, so that isolates evaluate filters without carrying the schema library.
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const ordered = z.union([z.number(), z.string()]);

const operators = {
  eq: scalar.optional(),
  neq: scalar.optional(),
  in: z.array(scalar).optional(),
  not_in: z.array(scalar).optional(),
  gt: ordered.optional(),
  gte: ordered.optional(),
  lt: ordered.optional(),
  lte: ordered.optional(),
  contains: scalar.optional(),
  exists: z.boolean().optional(),
  pattern: z.string().optional(),
} satisfies Record<keyof Comparison, z.ZodType>;

const names = Object.keys(operators);

function hasOperator(condition: object): boolean {
  return names.some((name) => (condition as Record<string, unknown>)[name] !== undefined);
}
const NO_OPERATOR = `needs at least one of ${names.join(", ")}`;

const ComparisonSchema = z.strictObject(operators).refine(hasOperator, NO_OPERATOR);
const PropertySchema = z.strictObject({ property: z.string().min(1), ...operators }).refine(hasOperator, NO_OPERATOR);

/** `filter` of a destination, as it is written in the configuration. */
export const FilterSchema: z.ZodType<Filter> = z.lazy(() =>
  z.union([
    z.strictObject({ all: z.array(FilterSchema) }),
    z.strictObject({ any: z.array(FilterSchema) }),
    z.strictObject({ not: FilterSchema }),
    z.strictObject({ sample: z.number().min(0).max(1) }),
    z.strictObject({ event: ComparisonSchema }),
    PropertySchema,
  ]),
);
