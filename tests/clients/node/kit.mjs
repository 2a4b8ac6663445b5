// fhir-kit-client as a service uses it. Arguments: demo.json. Prints what it met, as one JSON object.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Client } from "fhir-kit-client";
import { SignJWT, importJWK } from "jose";

const demo = JSON.parse(readFileSync(process.argv[2], "utf8"));
const service = demo.clients.find((one) => one.kind === "backend");
const fhir = new Client({ baseUrl: demo.fhir_base });
const { tokenUrl } = await fhir.smartAuthMetadata();

const assertion = await new SignJWT({ jti: randomUUID() })
  .setProtectedHeader({ alg: service.private_jwk.alg, kid: service.private_jwk.kid, typ: "JWT" })
  .setIssuer(service.client_id).setSubject(service.client_id).setAudience(tokenUrl.href)
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
fhir.bearerToken = (await answer.json()).access_token;

const met = { tokenUrl: tokenUrl.href };
met.fhirVersion = (await fhir.capabilityStatement()).fhirVersion;

const made = await fhir.create({
  resourceType: "Patient",
  body: { resourceType: "Patient", name: [{ family: "Kit", given: ["Ada"] }], birthDate: "1990-02-03" },
});
met.created = made.meta.versionId;
const patched = await fhir.patch({
  resourceType: "Patient", id: made.id, jsonPatch: [{ op: "add", path: "/gender", value: "female" }],
});
met.patched = [patched.gender, patched.meta.versionId];
const updated = await fhir.update({ resourceType: "Patient", id: made.id, body: { ...patched, gender: "other" } });
met.updated = [updated.gender, updated.meta.versionId];
met.vread = (await fhir.vread({ resourceType: "Patient", id: made.id, version: "2" })).gender;
met.history = (await fhir.history({ resourceType: "Patient", id: made.id })).entry.length;

const page = { resourceType: "Observation", searchParams: { _count: 4 } };
met.pages = [];
met.seen = [];
for (let bundle = await fhir.search(page); bundle; bundle = await fhir.nextPage({ bundle })) {
  met.pages.push((bundle.entry ?? []).length);
  met.seen.push(...(bundle.entry ?? []).map((one) => one.resource.id));
}
met.posted = (await fhir.search({
  resourceType: "Patient", searchParams: { family: "Kit" }, options: { postSearch: true },
})).entry.map((one) => one.resource.id === made.id);
met.compartment = (await fhir.compartmentSearch({
  resourceType: "Observation", compartment: { resourceType: "Patient", id: "demo-p1" },
})).entry.every((one) => one.resource.subject.reference === "Patient/demo-p1");
met.resolved = (await fhir.resolve({ reference: "Patient/demo-p1" })).id;

const batch = await fhir.batch({
  body: {
    resourceType: "Bundle", type: "batch", entry: [
      { request: { method: "GET", url: `Patient/${made.id}` } },
      { request: { method: "GET", url: "Patient/nobody" } },
    ],
  },
});
met.batch = batch.entry.map((one) => one.response.status.slice(0, 3));
const transaction = await fhir.transaction({
  body: {
    resourceType: "Bundle", type: "transaction", entry: [
      { request: { method: "DELETE", url: `Patient/${made.id}` } },
    ],
  },
});
met.transaction = transaction.entry.map((one) => one.response.status.slice(0, 3));
try {
  await fhir.read({ resourceType: "Patient", id: made.id });
} catch (fault) {
  met.gone = [fault.response.status, fault.response.data.resourceType];
}
console.log(JSON.stringify(met));
