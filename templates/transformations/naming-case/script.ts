import { camelCase, constantCase, kebabCase, pascalCase, sentenceCase, snakeCase, titleCase } from "headwater:case";
import { mapKeys } from "headwater:object";
import type { Context, Event } from "headwater";

interface Inputs {
  case: keyof typeof CASES;
  properties: boolean;
}

const CASES = {
  snake: snakeCase,
  camel: camelCase,
  kebab: kebabCase,
  pascal: pascalCase,
  constant: constantCase,
  title: titleCase,
  sentence: sentenceCase,
};

export function transform(event: Event, ctx: Context<Inputs>) {
  const convert = CASES[ctx.inputs.case];
  // What begins with $ belongs to the product that reads it.
  const name = (text: string) => (text.startsWith("$") ? text : convert(text) || text);
  event.event = name(event.event);
  if (ctx.inputs.properties) event.properties = mapKeys(event.properties, name);
  return event;
}
