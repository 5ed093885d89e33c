import type { HostileGroup } from "./hostile-script.ts";
import { lingering } from "./lingering.ts";
import { loops, natives } from "./loops.ts";
import { memory } from "./memory.ts";
import { reach } from "./reach.ts";
import { tampering } from "./tampering.ts";

export const HOSTILE_GROUPS: readonly HostileGroup[] = [loops, natives, memory, tampering, reach, lingering];
