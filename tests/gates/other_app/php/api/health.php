<?php

declare(strict_types=1);

require __DIR__ . '/../answer.php';

only_get();
success(['status' => 'ok', 'version' => '7.3.1', 'checks' => ['stock' => ['status' => 'ok']]]);
