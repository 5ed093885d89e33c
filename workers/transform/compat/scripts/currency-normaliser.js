"use strict";
var RATES = { EUR: 1, USD: 1.25, GBP: 0.8 };

async function setupPlugin(meta) {
  var wanted = meta.config.normalized_currency;
  if (!RATES[wanted]) throw new Error("unknown currency " + wanted);
  meta.global.rate = RATES[wanted];
}

async function convert(amount, from, rate) {
  return Math.round((amount / RATES[from]) * rate * 100) / 100;
}

async function processEvent(event, meta) {
  var amount = event.properties && event.properties[meta.config.amount_property];
  var currency = event.properties && event.properties[meta.config.currency_property];
  if (typeof amount !== "undefined" && RATES[currency]) {
    event.properties[meta.config.normalized_amount_property] = await convert(amount, currency, meta.global.rate);
    event.properties[meta.config.normalized_currency_property] = meta.config.normalized_currency;
  }
  return event;
}

module.exports = { setupPlugin: setupPlugin, processEvent: processEvent };
