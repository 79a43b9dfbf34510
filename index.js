// @ts-check
import { serveModule } from "./js/handlers.js";
import { serve } from "./js/serve.js";

export { serve, serveModule };

export default { serve, serveModule };
