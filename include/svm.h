/* svm.h - all of SuperVM's C interface: errors, types, transactions, the engine. */
#ifndef SVM_H
#define SVM_H

#include <svm/engine.h>
#include <svm/error.h>
#include <svm/tx.h>
#include <svm/types.h>

#endif
