// Runs a deck in eecircuit-engine: node engine.mjs MODULE DECK OUT → OUT.json, the names; OUT.bin, float64 vector by
// vector; OUT.log, what ngspice said. A run without result leaves the last alone: node ends when nothing is left to do.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [module, deck, out] = process.argv.slice(2);
const { Simulation } = await import(pathToFileURL(module));
const simulation = new Simulation();
process.on("exit", () => writeFileSync(`${out}.log`, simulation.getInfo()));
await simulation.start();
simulation.setNetList(readFileSync(deck, "latin1"));
const found = await simulation.runSim();
const values = new Float64Array(found.numVariables * found.numPoints);
found.data.forEach((one, k) => values.set(one.values, k * found.numPoints));
writeFileSync(`${out}.bin`, values);
writeFileSync(`${out}.json`, JSON.stringify(found.variableNames));
process.exit(0);
