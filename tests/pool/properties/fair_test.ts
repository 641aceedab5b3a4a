import { testGroup } from "./group.ts";
import { GROUPS } from "./groups.ts";

testGroup(GROUPS.fair);
