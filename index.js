// @ts-check
import { serveModule } from "./js/handlers.js";
import { Request } from "./js/request-class.js";
import { Response } from "./js/response-class.js";
import { serve } from "./js/serve.js";

export { Request, Response, serve, serveModule };

export default { serve, serveModule };
