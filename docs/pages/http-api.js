// Renders the contract in a shadow root, because the styles of Swagger UI and of this site differ.
const root = document.getElementById("swagger-ui").attachShadow({ mode: "open" });
root.innerHTML = `
  <link rel="stylesheet" href="http-api/swagger-ui.css">
  <style>
    .swagger-ui { background: white; color-scheme: light }
    .swagger-ui .wrapper { padding: 0 8px }
    /* These are dark already; site.css sets the filter. */
    .swagger-ui pre { filter: var(--dark, none) }
    @media (width < 600px) {
      .swagger-ui :is(tr, td, .response-controls) { display: block }
      .swagger-ui thead { display: none }
    }
    .swagger-ui :is(.info, .auth-wrapper, .scheme-container, .response-col_links) { display: none }
    /* This page is for reading: no padlocks, and no fields or menus that nobody can use. */
    .swagger-ui :is(.authorization__btn, .parameters-col_description :is(input, select, textarea),
      .parameter__default + input, .response-controls, .try-out) { display: none }
  </style>
  <div></div>`;
SwaggerUIBundle({
  domNode: root.lastElementChild,
  spec: contract,
  docExpansion: "full",
  defaultModelsExpandDepth: -1,
  // This page is for reading. It sends no requests.
  supportedSubmitMethods: [],
});
