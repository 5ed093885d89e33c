import posthog from "posthog-js/dist/module.no-external";

Object.assign(globalThis, { sdk: posthog });
