#ifndef CKAPPAJSON_H
#define CKAPPAJSON_H
#include <stddef.h>
#include <stdint.h>
#endif
