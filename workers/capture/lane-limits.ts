import type { CaptureEnv } from "./env.ts";
import { DEFAULT_LANE_LIMITS, type LaneLimits } from "./lane.ts";

/** The limits of a lane, with what the operator overrides. */
export function laneLimits(env: CaptureEnv): LaneLimits {
  return {
    ...DEFAULT_LANE_LIMITS,
    ...(env.LANE_BACKLOG_BYTES === undefined ? {} : { backlogBytes: Number(env.LANE_BACKLOG_BYTES) }),
    ...(env.LANE_RETAIN_BYTES === undefined ? {} : { retainBytes: Number(env.LANE_RETAIN_BYTES) }),
  };
}
