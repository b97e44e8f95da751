#ifndef CKAPPA_H
#define CKAPPA_H
#include <stddef.h>
#include <stdint.h>
#endif
