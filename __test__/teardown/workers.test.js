// @ts-check
import { ownEnds, terminations } from "./suite.js";

terminations();
ownEnds();
