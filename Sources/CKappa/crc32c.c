#include "CKappa.h"
