// Shows the server's OpenAPI document. Nothing is fetched from anywhere else, and nothing is sent to a validator.
import { call, withToken } from "../page/access.js";

const answer = await call("openapi.json");
SwaggerUIBundle({
  spec: await answer.json(),
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  syntaxHighlight: { activated: true },
  showMutatedRequest: false, // the curl line it shows is without the token
  requestInterceptor: (request) => {
    const own = new URL(request.url, document.baseURI).origin === location.origin;
    if (own) request.headers = Object.fromEntries(withToken(request.headers));
    return request;
  },
});
