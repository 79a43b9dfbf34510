// @ts-check
import { exits } from "./suite.js";

exits();
