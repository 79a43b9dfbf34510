// @ts-check
import { floods } from "./suite.js";

floods();
