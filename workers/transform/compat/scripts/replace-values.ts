import { countryName } from "countryNames";

type RudderEvent = { type: string; properties?: Record<string, unknown>; context: Record<string, unknown> };

export function transformEvent(event: RudderEvent, metadata: (event: RudderEvent) => Record<string, unknown>): RudderEvent | null {
    if (event.type === "identify") return null;
    for (const [key, value] of Object.entries(event.properties ?? {})) {
        if (key === "country") event.properties![key] = countryName(value as string);
        if (value === "N/A") delete event.properties![key];
    }
    return event;
}
