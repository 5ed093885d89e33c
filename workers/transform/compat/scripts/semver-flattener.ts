const SEMVER = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?$/

export default {
    processEvent(event: any, meta: any) {
        const names: string[] = (meta.config.properties ?? '').split(',').map((name: string) => name.trim())
        for (const name of names) {
            const match = SEMVER.exec(String(event.properties[name] ?? ''))
            if (!match) continue
            const [, major, minor, patch, preRelease, build] = match
            event.properties[`${name}__major`] = Number(major)
            event.properties[`${name}__minor`] = Number(minor)
            if (patch !== undefined) event.properties[`${name}__patch`] = Number(patch)
            if (preRelease !== undefined) event.properties[`${name}__preRelease`] = preRelease
            if (build !== undefined) event.properties[`${name}__build`] = build
        }
        return event
    },
}
