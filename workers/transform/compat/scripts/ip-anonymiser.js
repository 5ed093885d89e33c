// Last octet (IPv4) or last five groups (IPv6) become zero.
function anonymise(ip) {
    if (ip.includes('.')) return ip.replace(/\.\d+$/, '.0')
    return ip.split(':').slice(0, 3).join(':') + '::'
}

function processEvent(event) {
    if (event.properties && event.properties['$ip']) {
        event.properties['$ip'] = anonymise(event.properties['$ip'])
    }
    if (event.ip) {
        event.ip = anonymise(event.ip)
    }
    return event
}

module.exports = {
    processEvent
}
