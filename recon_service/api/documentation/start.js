"use strict";

// What nobody typed is not sent: optional parts of a form begin empty, not with their example, and nothing is ever
// sent empty.
const onlyWhatIsTyped = ({ React }) => ({
  wrapComponents: {
    JsonSchemaForm: (Original) => (props) =>
      React.createElement(
        Original,
        props.dispatchInitialValue && !props.required ? { ...props, dispatchInitialValue: false } : props,
      ),
    ParameterIncludeEmpty: () => () => null,
  },
});

SwaggerUIBundle({
  dom_id: "#documentation",
  url: "/openapi.json",
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [onlyWhatIsTyped],
  deepLinking: true,
  displayRequestDuration: true,
  // The list of all bodies is long, and each is shown where it is sent or answered.
  defaultModelsExpandDepth: 0,
  // A key that was typed is forgotten with the page: the next person at this browser has none.
  persistAuthorization: false,
  // The address of this page cannot name another document or change what is set here.
  queryConfigEnabled: false,
  // By default the document is sent to a validator on the Internet.
  validatorUrl: null,
});
