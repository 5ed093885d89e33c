import { createHash } from 'crypto'

// The same users are kept every time.
function position(id) {
    return parseInt(createHash('sha256').update(id).digest('hex').substring(0, 15), 16) / 0xfffffffffffffff
}

export function setupPlugin({ config, global }) {
    const percentage = parseFloat(config.percentage)
    if (isNaN(percentage) || percentage > 100 || percentage < 0) {
        throw new Error('Percentage must be a number between 0 and 100.')
    }
    global.share = percentage / 100
}

export function processEvent(event, { global }) {
    return position(event.distinct_id) < global.share ? event : null
}
