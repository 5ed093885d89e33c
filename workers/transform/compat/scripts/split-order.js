export function transformEvent(event) {
  if (event.event !== "Order Completed") return event;
  const { products = [], ...order } = event.properties;
  return [
    { ...event, properties: order },
    ...products.map((product, i) => ({
      ...event,
      messageId: `${event.messageId}-${i}`,
      event: "Product Bought",
      properties: product,
    })),
  ];
}
