import { jitsuAnalytics } from "@jitsu/js";

Object.assign(globalThis, { sdk: jitsuAnalytics });
