/** What scripts of other products import by those products' names (isolate/), and what each exports; a test holds this to the files. */
export const COMPAT_LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  "headwater:compat-commonjs": ["commonJs"],
  "headwater:compat-crypto": ["createHash", "createHmac", "default", "randomUUID"],
  "headwater:compat-posthog": ["Plugin", "pluginOf"],
  "headwater:compat-rudderstack": ["Transformation", "geolocation", "getCredential", "log"],
  "headwater:compat-scaffold": ["RetryError"],
  "headwater:compat-url": ["URL", "URLSearchParams", "default"],
  "headwater:compat-user-agent": ["UAParser"],
};
