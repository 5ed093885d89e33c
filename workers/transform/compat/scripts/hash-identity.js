import { sha256 } from '@rs/hash/v1'

export async function transformEvent(event) {
    const salt = await getCredential('SALT')
    if (!salt) throw new Error('no salt')
    const hash = (id) => sha256(salt + id)
    if (event.userId) event.userId = hash(event.userId)
    delete event.anonymousId
    const traits = event.context.traits
    if (traits && traits.email) traits.email = hash(traits.email.trim().toLowerCase())
    return event
}
