"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.processEvent = void 0;
const url_1 = require("url");
function processEvent(event) {
    if (!event.timestamp) return event;
    const date = new Date(event.timestamp);
    event.properties['day_of_the_week'] = date.toLocaleDateString('en-GB', { weekday: 'long', timeZone: 'UTC' });
    event.properties['year'] = String(date.getUTCFullYear());
    event.properties['month'] = String(date.getUTCMonth() + 1).padStart(2, '0');
    event.properties['day'] = String(date.getUTCDate()).padStart(2, '0');
    event.properties['hour'] = date.getUTCHours();
    event.properties['minute'] = date.getUTCMinutes();
    if (event.properties.$current_url) event.properties['domain'] = new url_1.URL(event.properties.$current_url).hostname;
    return event;
}
exports.processEvent = processEvent;
