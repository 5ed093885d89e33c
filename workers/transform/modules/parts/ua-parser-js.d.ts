/** The version in use has no types of its own. */
declare module "ua-parser-js" {
  type Part = Record<"name" | "version" | "model" | "vendor" | "type", string | undefined>;
  export default class UAParser {
    constructor(userAgent: string);
    getResult(): Record<"browser" | "os" | "device" | "engine", Part>;
  }
}
