import { RudderAnalytics } from "@rudderstack/analytics-js/bundled";

Object.assign(globalThis, { sdk: new RudderAnalytics() });
