// kill-the-clipboard as whoever was handed a SMART Health Link uses it. Arguments: demo.json. Prints what it met.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { SignJWT, importJWK } from "jose";
import { SHLViewer } from "kill-the-clipboard";

const demo = JSON.parse(readFileSync(process.argv[2], "utf8"));
const service = demo.clients.find((one) => one.kind === "backend");
const tokenUrl = `${demo.issuer}/auth/token`;
const assertion = await new SignJWT({ jti: randomUUID() })
  .setProtectedHeader({ alg: service.private_jwk.alg, kid: service.private_jwk.kid, typ: "JWT" })
  .setIssuer(service.client_id).setSubject(service.client_id).setAudience(tokenUrl)
  .setIssuedAt().setExpirationTime("5m")
  .sign(await importJWK(service.private_jwk, service.private_jwk.alg));
const answer = await fetch(tokenUrl, {
  method: "POST",
  body: new URLSearchParams({
    grant_type: "client_credentials",
    scope: "system/*.cruds",
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: assertion,
  }),
});
const { access_token } = await answer.json();
const passcode = "correct horse";
const made = await fetch(`${demo.fhir_base}/Patient/demo-p1/$health-link`, {
  method: "POST",
  headers: { Authorization: `Bearer ${access_token}`, "Content-Type": "application/fhir+json" },
  body: JSON.stringify({ resourceType: "Parameters", parameter: [{ name: "passcode", valueString: passcode }] }),
});
const { parameter } = await made.json();
const viewer = new SHLViewer({ shlinkURI: parameter.find((one) => one.name === "link").valueUri });

const met = { flag: viewer.shl.flag, wrong: "" };
try {
  await viewer.resolveSHL({ recipient: "Dr. Elsewhere", passcode: "guessed" });
} catch (error) {
  met.wrong = error.constructor.name;
}
for (const [name, embeddedLengthMax] of [["embedded", 1_000_000], ["fetched", 10]]) {
  const { fhirResources } = await viewer.resolveSHL({ recipient: "Dr. Elsewhere", passcode, embeddedLengthMax });
  met[name] = fhirResources.map((one) => [one.type, one.entry[1].resource.id]);
}
console.log(JSON.stringify(met));
