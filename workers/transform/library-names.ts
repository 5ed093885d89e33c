/** The `headwater:*` libraries (modules/) and what each exports; a test holds this list to the files. */
export const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  "headwater:bot": ["botName", "isBot"],
  "headwater:case": ["camelCase", "constantCase", "kebabCase", "pascalCase", "sentenceCase", "snakeCase", "titleCase"],
  "headwater:geo": ["geoProperties"],
  "headwater:hash": ["hmacMd5", "hmacSha1", "hmacSha256", "md5", "sha1", "sha256"],
  "headwater:ip": ["isIp", "isPrivateIp", "maskIp"],
  "headwater:object": ["flatten", "mapKeys", "mapValues", "omit", "pick", "removeNulls", "rename"],
  "headwater:path": ["getPath", "hasPath", "setPath", "unsetPath"],
  "headwater:pattern": ["matchesPattern"],
  "headwater:sample": ["isSampled", "sharePoint"],
  "headwater:semver": ["compareSemver", "parseSemver", "semverProperties"],
  "headwater:time": ["timestampParts"],
  "headwater:url": [
    "censorPath",
    "censorQuery",
    "getQuery",
    "normalizeUrl",
    "parseUrl",
    "queryParams",
    "removeQuery",
    "setQuery",
  ],
  "headwater:user-agent": ["parseUserAgent", "userAgentProperties"],
};

/** Where an isolate holds a library. Every module of an isolate lies in one folder. */
export function libraryModule(name: string): string {
  return `${name.replace(":", "-")}.js`;
}

/** Where an isolate holds a module of the team. */
export function teamModule(id: string): string {
  return `lib-${id}.js`;
}
