/** `headwater:case`: names in the way of writing that a taxonomy asks for. A leading `$`, as built-in events have it, stays. */

/** Names are shorter; what is longer keeps its end as it is. */
const NAME_MAX_CHARS = 500;

/** `order_completed` */
export function snakeCase(name: string): string {
  return joined(name, "_", lower);
}

/** `order-completed` */
export function kebabCase(name: string): string {
  return joined(name, "-", lower);
}

/** `ORDER_COMPLETED` */
export function constantCase(name: string): string {
  return joined(name, "_", (word) => word.toUpperCase());
}

/** `orderCompleted` */
export function camelCase(name: string): string {
  return joined(name, "", (word, i) => (i === 0 ? lower(word) : capital(word)));
}

/** `OrderCompleted` */
export function pascalCase(name: string): string {
  return joined(name, "", capital);
}

/** `Order Completed` */
export function titleCase(name: string): string {
  return joined(name, " ", capital);
}

/** `Order completed` */
export function sentenceCase(name: string): string {
  return joined(name, " ", (word, i) => (i === 0 ? capital(word) : lower(word)));
}

function joined(name: string, separator: string, write: (word: string, i: number) => string): string {
  const sign = name.startsWith("$") ? "$" : "";
  const words = name
    .slice(sign.length, NAME_MAX_CHARS)
    .replace(/([\p{Ll}\p{N}])(\p{Lu})/gu, "$1 $2")
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, "$1 $2")
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((word) => word !== "");
  return sign + words.map(write).join(separator) + name.slice(NAME_MAX_CHARS);
}

function lower(word: string): string {
  return word.toLowerCase();
}

function capital(word: string): string {
  const [first = ""] = word;
  return first.toUpperCase() + word.slice(first.length).toLowerCase();
}
