export function transformEvent(event, metadata) {
    const meta = metadata(event);
    event.context = event.context || {};
    event.context.source = { id: meta.sourceId, workspace: meta.workspaceId, kind: meta.eventType };
    if (meta.eventName === 'Order Completed') {
        event.properties.revenue = event.properties.products.reduce((sum, p) => sum + p.price * p.quantity, 0);
    }
    return event;
}
