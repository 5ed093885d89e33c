import { AnalyticsBrowser } from "@segment/analytics-next";

Object.assign(globalThis, { sdk: AnalyticsBrowser });
