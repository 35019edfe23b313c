// The worker of story.mjs.
import { reference } from "@polyllama/backend-reference";
import { serveLlama } from "polyllama/worker";

serveLlama(() => reference());
