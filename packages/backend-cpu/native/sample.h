// Draws tokens from rows of logits by core's integer definition (core/src/sampling/sample.ts): from the logits on all
// is integers, so that the choice is the host's to the last bit.
#pragma once
#include "team.h"

void sample(const Context& c, const void* step);
