/* base/park: no wake-up is lost, timeouts end. */
#include "base/park.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"

enum { ROUNDS = 20000 };

static uint64_t now_us(void)
{
    return clock_system.boot_ns(clock_system.self) / 1000;
}

START_TEST(a_wait_ends_by_its_timeout)
{
    struct park park;
    park_init(&park);
    uint64_t begin = now_us();
    uint32_t ticket = park_prepare(&park);
    park_wait(&park, ticket, 20000);
    ck_assert_uint_ge(now_us() - begin, 15000);
    ck_assert_uint_eq(atomic_load(&park.sleepers), 0);
}
END_TEST

START_TEST(a_wake_after_the_ticket_is_not_slept_over)
{
    struct park park;
    park_init(&park);
    uint32_t ticket = park_prepare(&park);
    park_wake(&park);
    park_wait(&park, ticket, 0); /* for ever, if it were lost */
    ck_assert_uint_eq(atomic_load(&park.sleepers), 0);
}
END_TEST

START_TEST(a_wake_for_nobody_changes_nothing)
{
    struct park park;
    park_init(&park);
    park_wake(&park);
    park_wake_all(&park);
    ck_assert_uint_eq(atomic_load(&park.epoch), 0);
    uint32_t ticket = park_prepare(&park);
    park_cancel(&park);
    park_wake(&park);
    ck_assert_uint_eq(atomic_load(&park.epoch), ticket);
}
END_TEST

/* Two threads hand a number back and forth, each asleep while it is not its turn. A lost wake-up is a hang. */
struct table_tennis {
    struct park park[2];
    _Atomic uint32_t ball;
};

struct player {
    struct table_tennis *game;
    uint32_t side;
    struct thread thread;
};

static void play(void *arg)
{
    struct player *player = arg;
    struct table_tennis *game = player->game;
    struct park *park = &game->park[player->side];
    for (uint32_t round = player->side; round < ROUNDS; round += 2) {
        for (;;) {
            uint32_t ticket = park_prepare(park);
            if (atomic_load_explicit(&game->ball, memory_order_acquire) == round) {
                park_cancel(park);
                break;
            }
            park_wait(park, ticket, 0);
        }
        atomic_store_explicit(&game->ball, round + 1, memory_order_release);
        park_wake(&game->park[1 - player->side]);
    }
}

START_TEST(no_wake_up_is_lost)
{
    static struct table_tennis game;
    static struct player players[2];
    for (uint32_t i = 0; i < 2; i++) {
        park_init(&game.park[i]);
        players[i] = (struct player){.game = &game, .side = i};
    }
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert(thread_start(&players[i].thread, "player", play, &players[i]));
    }
    for (uint32_t i = 0; i < 2; i++) {
        thread_join(&players[i].thread);
    }
    ck_assert_uint_eq(atomic_load(&game.ball), ROUNDS);
    ck_assert_uint_eq(atomic_load(&game.park[0].sleepers), 0);
    ck_assert_uint_eq(atomic_load(&game.park[1].sleepers), 0);
}
END_TEST

struct crowd {
    struct park park;
    _Atomic bool open;
    _Atomic uint32_t through;
};

static void wait_at_gate(void *arg)
{
    struct crowd *crowd = arg;
    for (;;) {
        uint32_t ticket = park_prepare(&crowd->park);
        if (atomic_load_explicit(&crowd->open, memory_order_acquire)) {
            park_cancel(&crowd->park);
            break;
        }
        park_wait(&crowd->park, ticket, 0);
    }
    atomic_fetch_add(&crowd->through, 1);
}

START_TEST(wake_all_wakes_all)
{
    static struct crowd crowd;
    static struct thread threads[8];
    park_init(&crowd.park);
    for (int i = 0; i < 8; i++) {
        ck_assert(thread_start(&threads[i], "crowd", wait_at_gate, &crowd));
    }
    while (atomic_load(&crowd.park.sleepers) < 8) {
        struct timespec ms = {.tv_nsec = 1000000};
        nanosleep(&ms, NULL);
    }
    atomic_store_explicit(&crowd.open, true, memory_order_release);
    park_wake_all(&crowd.park);
    for (int i = 0; i < 8; i++) {
        thread_join(&threads[i]);
    }
    ck_assert_uint_eq(atomic_load(&crowd.through), 8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base_park");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_wait_ends_by_its_timeout);
    tcase_add_test(tcase, a_wake_after_the_ticket_is_not_slept_over);
    tcase_add_test(tcase, a_wake_for_nobody_changes_nothing);
    tcase_add_test(tcase, no_wake_up_is_lost);
    tcase_add_test(tcase, wake_all_wakes_all);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
